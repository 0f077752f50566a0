// A field for a code sends its form once it has all its digits; the field's hint says so.

for (const field of document.querySelectorAll("input[data-digits]")) {
  field.addEventListener("input", () => {
    if (field.value.replace(/\D/g, "").length === Number(field.dataset.digits)) field.form.requestSubmit();
  });
}
