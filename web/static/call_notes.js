// Notes and labels of the call page are saved without leaving it, so that the sound goes on. The page that the
// panel answers with has the new part; where it has none, the visitor is logged out, and the form is sent as usual.

const part = document.getElementById("notes");

async function save(form) {
  const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("notes");
  if (fresh === null) throw new Error(`no notes: ${response.status}`);
  part.replaceChildren(...fresh.childNodes);
  document.dispatchEvent(new Event("accord:notes"));
  const wrong = part.querySelector("[aria-invalid]");
  const heading = part.querySelector("h2");
  heading.tabIndex = -1;
  (wrong ?? heading).focus({ preventScroll: wrong === null });
}

part.addEventListener("submit", (event) => {
  event.preventDefault();
  save(event.target).catch(() => event.target.submit());
});
