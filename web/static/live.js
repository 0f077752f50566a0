// The page of calls that go on now looks again by itself. What has changed is put in its place; whoever has a
// button in focus keeps it, and the page says aloud only what came of what was asked.

const EVERY = 2000; // milliseconds; while an answer is to come, sooner
const SOON = 400;
const LOST = 3; // looks without an answer after which the page says so
let lost = 0;
const parts = ["live-said", "live-calls"];

document.getElementById("live-by-itself").hidden = false;
wait();

function wait() {
  const open = document.getElementById("live").dataset.open === "yes";
  setTimeout(look, open ? SOON : EVERY);
}

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, {
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(5000),
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.redirected || !page.getElementById("live")) {
        location.reload(); // logged out meanwhile, or something is wrong: the page says what
        return;
      }
      show(page);
      lost = 0;
    } catch {
      lost += 1; // away for a moment: the next look tries again
    }
    document.getElementById("live-away").hidden = lost < LOST;
  }
  wait();
}

function show(page) {
  document.getElementById("live").dataset.open = page.getElementById("live").dataset.open;
  for (const id of parts) {
    const now = document.getElementById(id);
    const then = page.getElementById(id);
    if (bare(now) === bare(then)) continue;
    const focused = now.contains(document.activeElement) ? document.activeElement.id : "";
    now.replaceChildren(...then.childNodes);
    if (focused) focus(focused);
  }
}

// Form tokens are new in every page, and say nothing.
function bare(one) {
  const copy = one.cloneNode(true);
  for (const token of copy.querySelectorAll("[name=csrf_token]")) token.remove();
  return copy.innerHTML;
}

// The button that was in focus; where it has become another (Pause is now Go on), that one.
function focus(id) {
  const other = id.replace(/^(pause|resume)-/, (_, was) => (was === "pause" ? "resume-" : "pause-"));
  (document.getElementById(id) ?? document.getElementById(other))?.focus();
}
