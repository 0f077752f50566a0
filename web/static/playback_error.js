// A media element does not tell why playback failed. This module requests the audio from that position
// again: the panel verifies each block before it sends it, and explains the first that it refuses.

import { readJson } from "./grant.js";

const MAX_TRIES = 4;
const MAX_BYTES = 2 * 1024 * 1024; // beyond this, a broken seal was not the cause

// The panel's refusal (`error`, `message`); an empty object if it refused without a message, null if it did
// not refuse.
export async function findRefusal(audio, duration) {
  const source = audio.currentSrc || audio.querySelector("source").src;
  const head = await fetch(source, { method: "HEAD" });
  if (!head.ok) return refusal(await fetchFrom(source, 0));
  const length = Number(head.headers.get("Content-Length"));
  // Bytes are only roughly proportional to seconds, so start a little before the failure.
  const begin = Math.max(0, Math.floor((length * bufferedUntil(audio)) / duration - Math.max(131072, length / 50)));
  let at = begin;
  for (let tries = 0; tries < MAX_TRIES && at < length && at - begin < MAX_BYTES; tries += 1) {
    const response = await fetchFrom(source, at);
    if (!response.ok) return refusal(response);
    at += await countBytes(response, MAX_BYTES);
  }
  return null;
}

function bufferedUntil({ buffered, currentTime }) {
  for (let i = 0; i < buffered.length; i += 1) {
    if (buffered.start(i) <= currentTime && currentTime <= buffered.end(i)) return buffered.end(i);
  }
  return currentTime;
}

async function refusal(response) {
  return response.ok ? null : ((await readJson(response)) ?? {});
}

function fetchFrom(source, at) {
  return fetch(source, { headers: { Range: `bytes=${at}-`, Accept: "application/json" } });
}

// The bytes received before the response ended, was aborted, or reached `limit`.
async function countBytes(response, limit) {
  const reader = response.body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return bytes;
      bytes += value.length;
      if (bytes >= limit) {
        await reader.cancel();
        return bytes;
      }
    }
  } catch {
    return bytes;
  }
}
