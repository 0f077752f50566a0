// A media element does not say why its sound broke off. Ask for the sound from there on: the panel
// checks each part before it leaves, and answers with a sentence at the first that it refuses.

import { saidBy } from "./leave.js";

const TRIES = 4;
const ENOUGH = 2 * 1024 * 1024; // further on than this it was not the seal

// What the panel said (`error`, `message`); empty where it refused without a sentence, null where it
// refused nothing.
export async function whyBroken(audio, duration) {
  const source = audio.currentSrc || audio.querySelector("source").src;
  const head = await fetch(source, { method: "HEAD" });
  if (!head.ok) return refusal(await ask(source, 0));
  const length = Number(head.headers.get("Content-Length"));
  // Bytes and seconds go together only roughly: begin a little before where it broke off.
  const begin = Math.max(0, Math.floor((length * heardUpTo(audio)) / duration - Math.max(131072, length / 50)));
  let at = begin;
  for (let tries = 0; tries < TRIES && at < length && at - begin < ENOUGH; tries += 1) {
    const answer = await ask(source, at);
    if (!answer.ok) return refusal(answer);
    at += await received(answer, ENOUGH);
  }
  return null;
}

function heardUpTo({ buffered, currentTime }) {
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= currentTime && currentTime <= buffered.end(i)) return buffered.end(i);
  }
  return currentTime;
}

async function refusal(answer) {
  return answer.ok ? null : ((await saidBy(answer)) ?? {});
}

function ask(source, at) {
  return fetch(source, { headers: { Range: `bytes=${at}-`, Accept: "application/json" } });
}

// How much arrived before the answer ended, was broken off, or was enough.
async function received(answer, enough) {
  const reader = answer.body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return bytes;
      bytes += value.length;
      if (bytes >= enough) {
        await reader.cancel();
        return bytes;
      }
    }
  } catch {
    return bytes;
  }
}
