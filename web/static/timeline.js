// The timeline beside the player: the entry that is being heard is marked, and kept in view within its own
// list. The page itself never scrolls by itself.

export function followTimeline(list) {
  const entries = [...list.children];
  let current = null;
  return (ms) => {
    const now = entries.findLast((entry) => Number(entry.dataset.from) <= ms + 50) ?? null;
    if (now === current) return;
    current?.removeAttribute("aria-current");
    now?.setAttribute("aria-current", "true");
    current = now;
    if (now !== null && list.scrollHeight > list.clientHeight) {
      const middle = now.offsetTop - list.offsetTop - (list.clientHeight - now.offsetHeight) / 2;
      list.scrollTo({ top: middle, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    }
  };
}
