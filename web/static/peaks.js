// The outline that was made when the call was stored: for each stretch the lowest and highest sample of
// each side, -128 to 127 (recorder/audio/peaks.py).

const FORMAT = 1;
const QUIET = 0.1; // below this the outline is not stretched to the lane's height: silence stays flat
const BEND = 0.75; // speech is mostly soft; bent a little, soft words show

export function readPeaks(said) {
  if (said.format !== FORMAT) throw new Error(`peaks of format ${said.format}`);
  const sides = [said.left, said.right].map(loudest);
  const top = Math.max(QUIET, ...sides.map((side) => side.reduce((a, b) => Math.max(a, b), 0)));
  return sides.map((side) => side.map((value) => (value / top) ** BEND));
}

function loudest(pairs) {
  const side = new Array(pairs.length / 2);
  for (let i = 0; i < side.length; i += 1) {
    side[i] = Math.max(Math.abs(pairs[2 * i]), Math.abs(pairs[2 * i + 1])) / 128;
  }
  return side.length ? side : [0];
}
