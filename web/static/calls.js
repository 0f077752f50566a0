// Tells when new calls have come. The list does not move by itself while somebody reads it: a link shows them. An
// empty list shows its first call at once.

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
    if (response.status !== 200 || response.redirected) return;
    const text = await response.text();
    if (text === latest) return; // announced once
    latest = text;
    const link = new DOMParser().parseFromString(text, "text/html").querySelector("a.new-calls");
    if (!link) return;
    if (place.dataset.empty && isUnused()) location.replace(link.href);
    else place.replaceChildren(link);
  } catch {
    // temporarily unreachable: the next look retries
  }
}

// Nobody is typing, and no filter is being chosen.
function isUnused() {
  return !document.querySelector(".filter-panel[open]") && !document.activeElement?.matches("input, select");
}
