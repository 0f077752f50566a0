// The room's clock, as this page estimates it: of the last pings, the one with the shortest round trip counts.

const FIRST_PINGS = 8;
const INTERVAL = 2500; // ms between two pings
const KEPT = 24;
const JUMP = 1000; // ms; this machine slept, or its clock was set: earlier pings say nothing any more

export class RoomClock {
  constructor(address) {
    this.address = address;
    this.samples = [];
  }

  async start() {
    for (let n = 0; n < FIRST_PINGS; n++) await this.ping();
    this.timer = setInterval(() => this.ping(), INTERVAL);
    return this.samples.length > 0;
  }

  stop() {
    clearInterval(this.timer);
  }

  async ping() {
    const sent = performance.now();
    let body;
    try {
      const response = await fetch(this.address, {
        headers: { Accept: "application/json" },
        cache: "no-store",
        signal: AbortSignal.timeout(5000),
      });
      body = response.ok ? await response.json() : null;
    } catch {
      return; // the next ping retries
    }
    const received = performance.now();
    if (body === null) return;
    const sample = { trip: received - sent, offset: body.now - (sent + received) / 2 };
    if (this.samples.length && Math.abs(sample.offset - this.best().offset) > JUMP) this.samples = [];
    this.samples = [...this.samples, sample].slice(-KEPT);
  }

  best() {
    return this.samples.reduce((least, each) => (each.trip < least.trip ? each : least));
  }

  // Milliseconds since 1970, by the server.
  now() {
    return performance.now() + this.best().offset;
  }
}
