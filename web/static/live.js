// Refreshes the page of active calls. Only changed parts are replaced, the focused button keeps its focus,
// and screen readers announce only the outcome of a command.

const INTERVAL = 2000; // ms
const PENDING_INTERVAL = 400; // ms, while the outcome of a command is pending
const MAX_FAILURES = 3; // consecutive failures before the page reports them
let failures = 0;
const parts = ["live-result", "live-calls"];

document.getElementById("live-auto-refresh").hidden = false;
schedule();

function schedule() {
  const pending = document.getElementById("live").dataset.open === "yes";
  setTimeout(refresh, pending ? PENDING_INTERVAL : INTERVAL);
}

async function refresh() {
  if (!document.hidden) {
    try {
      const response = await fetch(location.href, {
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(5000),
      });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (response.redirected || !page.getElementById("live")) {
        location.reload(); // logged out, or an error: the reloaded page explains
        return;
      }
      update(page);
      failures = 0;
    } catch {
      failures += 1; // temporarily unreachable: the next refresh retries
    }
    document.getElementById("live-unreachable").hidden = failures < MAX_FAILURES;
  }
  schedule();
}

function update(page) {
  document.getElementById("live").dataset.open = page.getElementById("live").dataset.open;
  for (const id of parts) {
    const current = document.getElementById(id);
    const next = page.getElementById(id);
    if (withoutTokens(current) === withoutTokens(next)) continue;
    const focused = current.contains(document.activeElement) ? document.activeElement.id : "";
    current.replaceChildren(...next.childNodes);
    if (focused) restoreFocus(focused);
  }
}

// Form tokens differ on every page, without any change to show.
function withoutTokens(part) {
  const copy = part.cloneNode(true);
  for (const token of copy.querySelectorAll("[name=csrf_token]")) token.remove();
  return copy.innerHTML;
}

// Focus the same button again, or the one that has replaced it (Pause has become Resume).
function restoreFocus(id) {
  const other = id.replace(/^(pause|resume)-/, (_, was) => (was === "pause" ? "resume-" : "pause-"));
  (document.getElementById(id) ?? document.getElementById(other))?.focus();
}
