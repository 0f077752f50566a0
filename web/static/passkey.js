// Passkeys: asks the panel for a challenge, the browser for an answer, and sends that with the form. Without this file, or in a
// browser that knows no passkeys, the forms stay hidden.
const known = window.PublicKeyCredential?.parseCreationOptionsFromJSON && window.PublicKeyCredential.parseRequestOptionsFromJSON;

async function answer(form) {
  const response = await fetch(form.dataset.options, { method: "POST", body: new FormData(form) });
  if (!response.ok || !response.headers.get("Content-Type")?.startsWith("application/json")) {
    window.location.assign(response.redirected ? response.url : window.location.href); // to log in again
    return null;
  }
  const options = await response.json();
  return form.dataset.passkey === "add"
    ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!known) continue;
  form.closest("[data-passkey-part]").hidden = false;
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return; // the answer is in: send it
    event.preventDefault();
    status.textContent = "";
    try {
      const credential = await answer(form);
      if (!credential) return;
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch (error) {
      status.textContent = (error.name === "InvalidStateError" && status.dataset.again) || status.dataset.failed;
    }
  });
}
