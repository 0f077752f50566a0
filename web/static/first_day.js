// Shows the test call as it arrives: loads the page again and replaces the steps if they have changed.

const INTERVAL = 1500; // ms

const hint = document.getElementById("live-hint");
if (hint) hint.hidden = false;
schedule();

function schedule() {
  if (document.getElementById("first-day").dataset.live === "yes") setTimeout(refresh, INTERVAL);
}

async function refresh() {
  if (!document.hidden) {
    try {
      const response = await fetch(location.href, {
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(5000),
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = page.getElementById("first-day");
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
  const current = document.getElementById("first-day");
  const added = next.querySelector("#live-hint");
  if (added) added.hidden = false;
  if (current.innerHTML === next.innerHTML) return;
  if (current.dataset.call === "live" && next.dataset.call === "waiting") return; // over, and not yet stored: it did arrive
  const focused = current.contains(document.activeElement) && document.activeElement.getAttribute("href");
  Object.assign(current.dataset, next.dataset);
  current.replaceChildren(...next.childNodes);
  if (focused) [...current.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus();
}
