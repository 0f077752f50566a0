// The part of the room's page about passages and the outcome: its forms are sent without leaving the room, and it is
// loaded again when somebody said something. What somebody is writing is never lost to that.

const PART = "X-Accord-Part";

export class RoomNotes {
  // `on.play(recording, milliseconds)` goes to a passage, `on.place()` is the place now in seconds, `on.trouble(text)`
  // says what failed, `on.shown()` is called when the part was loaded again.
  constructor(part, csrf, on) {
    Object.assign(this, { part, csrf, on });
    this.version = Number(part.dataset.version);
    this.news = document.getElementById("room-news");
    this.news.querySelector("button").addEventListener("click", () => this.load());
    part.addEventListener("submit", (event) => this.send(event));
    part.addEventListener("click", (event) => this.click(event));
    part.addEventListener("input", () => (this.isWriting = true));
    this.prepare();
  }

  prepare() {
    this.isWriting = false;
    this.news.hidden = true;
    for (const button of this.part.querySelectorAll("[data-play], [data-take]")) button.hidden = false;
    this.on.shown();
  }

  // The room says how much was said so far.
  follow(version) {
    if (version <= this.version) return;
    this.version = version;
    if (this.isWriting) this.news.hidden = false;
    else this.load();
  }

  async load() {
    try {
      const response = await fetch(this.part.dataset.notes, { headers: { [PART]: "1" } });
      if (response.ok) this.show(await response.text());
    } catch {
      // the next word of the room tries again
    }
  }

  show(html) {
    const open = [...this.part.querySelectorAll("details[open] > summary")].map((each) => each.textContent);
    const focused = document.activeElement?.id;
    this.part.innerHTML = html;
    for (const summary of this.part.querySelectorAll("details > summary")) {
      if (!this.isSent && open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    this.prepare();
    if (focused) document.getElementById(focused)?.focus();
  }

  async send(event) {
    const form = event.target;
    if (!("part" in form.dataset)) return;
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    try {
      const response = await fetch(form.getAttribute("action"), { // a button is named so, too
        method: "POST",
        body,
        headers: { [PART]: "1", "X-CSRFToken": this.csrf },
        signal: AbortSignal.timeout(15_000),
      });
      if (!response.ok && response.status !== 422) throw new Error(String(response.status));
      this.isSent = response.ok;
      this.show(await response.text());
      this.isSent = false;
      const wrong = this.part.querySelector("[aria-invalid], .field-error");
      if (!response.ok) wrong?.focus();
    } catch {
      this.on.trouble();
    }
  }

  click(event) {
    const play = event.target.closest("[data-play]");
    if (play) this.on.play(play.dataset.recording, Number(play.dataset.play));
    const take = event.target.closest("[data-take]");
    if (!take) return;
    const tenths = Math.floor(this.on.place() * 10);
    const text = `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
    const field = document.getElementById(take.dataset.take);
    field.value = text;
    field.focus();
    this.isWriting = true;
  }
}
