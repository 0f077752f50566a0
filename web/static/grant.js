// A grant lasts a quarter of an hour and is renewed while the player plays. Its remaining time is measured
// from the panel's answer, because this machine's clock may be wrong.

const RENEW_BEFORE = 5 * 60 * 1000; // with less than this left, in ms: renew, or warn if nothing plays
const CHECK_INTERVAL = 15 * 1000;

export class Grant {
  // `on` has callbacks: `playing()` returns whether audio plays; `soon()`, `renewed(words)`, `later(message)`
  // and `over(message)` report events.
  constructor({ renew, close, report, left, play, csrf }, on) {
    Object.assign(this, { renewUrl: renew, closeUrl: close, reportUrl: report, play, csrf, on });
    this.over = false;
    this.renewable = true; // false once the purpose itself ends sooner
    this.setRemaining(performance.now(), left);
  }

  setRemaining(since, seconds) {
    this.until = since + Number(seconds) * 1000;
  }

  watch() {
    this.timer = setInterval(() => this.check(), CHECK_INTERVAL);
  }

  // Whether listening is allowed now.
  allows() {
    if (!this.over && this.until <= performance.now()) this.end(null);
    return !this.over;
  }

  check() {
    if (!this.allows() || !this.renewable || this.until - performance.now() > RENEW_BEFORE) return;
    if (this.on.playing()) this.renew();
    else this.on.soon();
  }

  // Sends one request at a time; resolves to whether the grant was extended.
  renew() {
    this.request ??= this.sendRenewal().finally(() => (this.request = null));
    return this.request;
  }

  async sendRenewal() {
    const sentAt = performance.now();
    let response;
    try {
      response = await fetch(this.renewUrl, {
        method: "POST",
        headers: { "X-CSRFToken": this.csrf, Accept: "application/json" },
        signal: AbortSignal.timeout(CHECK_INTERVAL),
      });
    } catch {
      return false; // temporarily unreachable: the next check retries
    }
    const body = await readJson(response);
    if (this.over || body === null || response.status >= 500) return false;
    if (response.status === 429) {
      this.on.later(body.message); // the next check retries
      return false;
    }
    if (!response.ok) {
      this.end(body.message);
      return false;
    }
    this.setRemaining(sentAt, body.left);
    this.renewable = body.left * 1000 > RENEW_BEFORE;
    this.on.renewed(body.until_words);
    return true;
  }

  end(message) {
    this.retire();
    this.on.over(message);
  }

  // Use it no more.
  retire() {
    clearInterval(this.timer);
    this.over = true;
  }

  // Send a listen report, if anything was played.
  report(played) {
    if (played) this.send(this.reportUrl, played);
  }

  // The page is being left: end the listening session, with the last listen report.
  close(played) {
    this.send(this.closeUrl, played);
  }

  send(address, played) {
    const form = new FormData();
    form.append("csrf_token", this.csrf);
    form.append("play", this.play);
    if (played) form.append("played", played);
    navigator.sendBeacon(address, form);
  }
}

// The JSON body of a response; null if it is not JSON (a page, or the response of a proxy).
export async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}
