// The room's recording as both see it: two lanes, and where it was announced, asked, answered and marked.

import WaveSurfer from "./vendor/wavesurfer-8.0.1.esm.js";
import { readPeaks } from "./peaks.js";

export class RoomLanes {
  // `on.goTo(seconds)` is called when somebody chooses a place.
  constructor(root, on) {
    Object.assign(this, { root, on });
    this.box = document.getElementById("room-wave");
    this.list = document.getElementById("room-moments");
    this.moments = [];
    this.passages = [];
    this.duration = 0;
  }

  // Show a recording: `peaks` is the address of its peaks (empty for none), `moments` what there is to find in it.
  async show({ peaks, moments }, duration) {
    this.duration = duration;
    this.moments = moments;
    this.wave?.destroy();
    this.wave = null;
    this.mark();
    if (!peaks) return this.hide();
    try {
      const response = await fetch(peaks, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      this.draw(readPeaks(await response.json()));
    } catch {
      this.hide(); // the range field shows the place all the same
    }
  }

  hide() {
    document.getElementById("room-lanes").hidden = true;
  }

  draw(peaks) {
    document.getElementById("room-lanes").hidden = false;
    const of = (name) => getComputedStyle(this.root).getPropertyValue(name).trim();
    // The part not played yet is paler, still with a contrast of 3:1 (WCAG 1.4.11).
    const lane = (colour) => ({
      waveColor: `color-mix(in srgb, ${colour} 68%, ${of("--sheet")})`,
      progressColor: colour,
      height: this.box.clientHeight / 2,
    });
    this.wave = WaveSurfer.create({
      container: this.box,
      cspNonce: this.root.dataset.nonce,
      peaks,
      duration: this.duration,
      cursorWidth: 2,
      cursorColor: of("--ink"),
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      hideScrollbar: true,
      splitChannels: [lane(of("--one")), lane(of("--two"))],
    });
    this.wave.on("interaction", (seconds) => this.on.goTo(seconds));
  }

  // The passages of the recording that is heard, in milliseconds.
  setPassages(passages) {
    this.passages = passages;
    this.mark();
  }

  mark() {
    for (const each of this.box.querySelectorAll(".room-moment")) each.remove();
    const all = this.duration * 1000;
    if (!all) return;
    const bands = [...this.moments, ...this.passages.map((each) => ({ kind: "passage", ...each }))];
    for (const { kind, begin, end } of bands) {
      const band = document.createElement("div");
      band.className = `room-moment is-${kind}`;
      band.style.left = `${(100 * begin) / all}%`;
      band.style.width = `${(100 * (end - begin)) / all}%`;
      this.box.append(band);
    }
  }

  showPlace(seconds) {
    this.wave?.setTime(Math.min(seconds, this.duration));
  }
}
