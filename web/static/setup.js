// Says at once that a file is too large, before minutes are spent on sending it.

const file = document.getElementById("greeting");

file.addEventListener("change", () => {
  const large = [...file.files].some((one) => one.size > Number(file.dataset.largest));
  file.setCustomValidity(large ? file.dataset.tooLarge : "");
  if (large) file.reportValidity();
});

file.form.addEventListener("submit", (event) => {
  if (file.reportValidity()) return;
  event.preventDefault();
});
