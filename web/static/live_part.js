// Shows what changes by itself: while the element with data-live says "yes", loads the page again (every data-every
// seconds) and replaces that element if it has changed.

const INTERVAL = 1000 * (livePart(document)?.dataset.every ?? 1.5); // ms

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
  if (!document.hidden) {
    try {
      const response = await fetch(location.href, {
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(5000),
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = livePart(page);
      if (response.redirected || !next) {
        location.reload(); // logged out, or an error: the reloaded page explains
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
  if (current.innerHTML === next.innerHTML) return;
  if (current.dataset.call === "live" && next.dataset.call === "waiting") return; // over, and not yet stored: it did arrive
  const focused = current.contains(document.activeElement) && document.activeElement.getAttribute("href");
  Object.assign(current.dataset, next.dataset);
  current.replaceChildren(...next.childNodes);
  if (focused) [...current.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus();
}
