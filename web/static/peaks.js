// The waveform's peaks, computed when the call was stored: the lowest and highest sample of each interval on
// each channel, -128 to 127 (recorder/audio/peaks.py).

const FORMAT = 1;
const MIN_PEAK = 0.1; // quieter recordings are not scaled to the lane's height, so that silence stays flat
const EXPONENT = 0.75; // raises soft speech so that it is visible

export function readPeaks(peaks) {
  if (peaks.format !== FORMAT) throw new Error(`peaks of format ${peaks.format}`);
  const channels = [peaks.left, peaks.right].map(amplitudes);
  const highest = Math.max(MIN_PEAK, ...channels.map((channel) => channel.reduce((a, b) => Math.max(a, b), 0)));
  return channels.map((channel) => channel.map((value) => (value / highest) ** EXPONENT));
}

const QUIET = 4; // of 128: about -30 dB
const SHORTEST_SILENCE = 1.5; // seconds

// The stretches, in seconds, in which neither channel says anything.
export function findSilences(peaks) {
  const window = peaks.window_frames / peaks.sample_rate;
  const loud = (pairs, at) => Math.max(Math.abs(pairs[2 * at]), Math.abs(pairs[2 * at + 1])) > QUIET;
  const count = Math.min(peaks.left.length, peaks.right.length) / 2;
  const found = [];
  let from = 0;
  for (let at = 0; at <= count; at += 1) {
    if (at < count && !loud(peaks.left, at) && !loud(peaks.right, at)) continue;
    if ((at - from) * window >= SHORTEST_SILENCE) found.push({ from: from * window, to: at * window });
    from = at + 1;
  }
  return found;
}

function amplitudes(pairs) {
  const channel = new Array(pairs.length / 2);
  for (let i = 0; i < channel.length; i += 1) {
    channel[i] = Math.max(Math.abs(pairs[2 * i]), Math.abs(pairs[2 * i + 1])) / 128;
  }
  return channel.length ? channel : [0];
}
