// Tells when new calls have come, and shows those that have ended and are being stored. The list itself does not move
// while somebody reads it: a link shows the new calls. An empty list shows its first call at once.

const INTERVAL = 15000; // ms
const IDLE = 30 * 60 * 1000; // ms without a key or a pointer: an open page must not keep its session alive for ever
const place = document.getElementById("new-calls");
let lastUse = Date.now();
let latest = "";

for (const event of ["pointerdown", "keydown", "scroll"]) {
  addEventListener(event, () => { lastUse = Date.now(); }, { passive: true });
}
setInterval(look, INTERVAL);
document.addEventListener("visibilitychange", look);

async function look() {
  if (document.hidden || Date.now() - lastUse > IDLE) return;
  try {
    const response = await fetch(place.dataset.address, { signal: AbortSignal.timeout(5000) });
    if (![200, 204].includes(response.status) || response.redirected) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    showEnded(page.getElementById("ended-calls"));
    const link = page.querySelector("a.new-calls");
    if (!link || link.outerHTML === latest) return; // announced once
    latest = link.outerHTML;
    if (place.dataset.empty && isUnused()) location.replace(link.href);
    else place.replaceChildren(link);
  } catch {
    // temporarily unreachable: the next look retries
  }
}

function showEnded(next) {
  const current = document.getElementById("ended-calls");
  if (current.innerHTML.trim() === (next?.innerHTML ?? "").trim()) return;
  const focused = current.contains(document.activeElement) && document.activeElement.getAttribute("href");
  current.replaceChildren(...(next?.childNodes ?? []));
  if (focused) current.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
}

// Nobody is typing, and no filter is being chosen.
function isUnused() {
  return !document.querySelector(".filter-panel[open]") && !document.activeElement?.matches("input, select");
}
