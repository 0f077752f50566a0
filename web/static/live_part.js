// Shows what changes by itself: while the element with data-live says "yes", loads the page again (every data-every
// seconds) and replaces that element if it has changed: its content or, where it holds forms, its data-version. What
// somebody is writing there is never lost: a note with a link tells of the news instead.

const INTERVAL = 1000 * (livePart(document)?.dataset.every ?? 1.5); // ms
const IDLE = 30 * 60 * 1000; // ms without a key or a pointer: an open page must not keep its session alive for ever
let lastUse = Date.now();
let isWriting = false;

for (const event of ["pointerdown", "keydown", "scroll"]) {
  addEventListener(event, () => { lastUse = Date.now(); }, { passive: true });
}
addEventListener("input", () => { isWriting = true; });

const hint = document.getElementById("live-hint");
if (hint) hint.hidden = false;
schedule();

function schedule() {
  if (livePart(document)?.dataset.live === "yes") setTimeout(refresh, INTERVAL);
}

function livePart(page) {
  return page.querySelector("[data-live]");
}

async function refresh() {
  if (!document.hidden && Date.now() - lastUse < IDLE) {
    try {
      const { address } = livePart(document).dataset; // of a page that answers a form
      const response = await fetch(address ?? location.href, {
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(5000),
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = livePart(page);
      if (response.redirected || !next) {
        if (isUsed()) showNews();
        else if (address) location.replace(address);
        else location.reload(); // logged out, or an error: the reloaded page explains
        return;
      }
      update(next);
    } catch {
      // temporarily unreachable: the next refresh tries again
    }
  }
  schedule();
}

function update(next) {
  const current = livePart(document);
  const added = next.querySelector("#live-hint");
  if (added) added.hidden = false;
  const { version } = current.dataset;
  if (version ? version === next.dataset.version : current.innerHTML === next.innerHTML) return;
  if (current.dataset.call === "live" && next.dataset.call === "waiting") return; // over, and not yet stored: it did arrive
  if (isUsed()) {
    showNews();
    return;
  }
  const focused = current.contains(document.activeElement) && document.activeElement.getAttribute("href");
  Object.assign(current.dataset, next.dataset);
  current.replaceChildren(...next.childNodes);
  if (focused) [...current.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus();
}

// Somebody writes, or has opened what would be closed again.
function isUsed() {
  const current = livePart(document);
  return "version" in current.dataset && (isWriting || current.querySelector("details[open]") !== null);
}

function showNews() {
  document.getElementById("page-news").hidden = false;
}
