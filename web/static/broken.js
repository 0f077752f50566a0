// A media element does not say why its sound broke off. Ask for the sound from there on: the panel
// checks each part before it leaves, and answers with a sentence at the first that it refuses.

const MARGIN = 65536;
const TRIES = 4;

export async function whyBroken(audio, duration) {
  const source = audio.currentSrc || audio.querySelector("source").src;
  const head = await fetch(source, { method: "HEAD" });
  if (!head.ok) return sentence(source, 0);
  const length = Number(head.headers.get("Content-Length"));
  const heard = audio.buffered.length ? audio.buffered.end(audio.buffered.length - 1) : 0;
  let at = Math.max(0, Math.floor((length * heard) / duration) - MARGIN);
  for (let tries = 0; tries < TRIES && at < length; tries += 1) {
    const answer = await ask(source, at);
    if (!answer.ok) return (await answer.json()).message;
    at += await received(answer);
  }
  return null;
}

async function sentence(source, at) {
  const answer = await ask(source, at);
  return answer.ok ? null : (await answer.json()).message;
}

function ask(source, at) {
  return fetch(source, { headers: { Range: `bytes=${at}-`, Accept: "application/json" } });
}

// How much arrived before the answer ended or was broken off.
async function received(answer) {
  const reader = answer.body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return bytes;
      bytes += value.length;
    }
  } catch {
    return bytes;
  }
}
