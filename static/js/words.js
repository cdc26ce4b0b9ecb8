// A 64-bit word taken apart on the page: hex with the changed digits marked, then bit by bit.

function span(text, name) {
  const made = document.createElement("span");
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

/** The word in hex; digits that differ from `other` are marked. */
export function hex(word, other) {
  const box = span("", "hex");
  box.append(span("0x"));
  for (let i = 2; i < word.length; i += 1) box.append(span(word[i], word[i] !== other?.[i] ? "moved" : ""));
  return box;
}

/** Four rows of sixteen bits, highest first; the tag bits are tinted, bits that differ from `other` are framed. */
export function bits(word, other, tagBits, label) {
  const [own, before] = [BigInt(word), BigInt(other ?? word)];
  const box = document.createElement("div");
  box.className = "bits";
  box.setAttribute("role", "img");
  const moved = [];
  for (let top = 63; top > 0; top -= 16) {
    box.append(span(`${top}`, "place"));
    for (let at = top; at > top - 16; at -= 1) {
      const bit = (own >> BigInt(at)) & 1n;
      const names = ["bit"];
      if (at < tagBits) names.push("tag-bit");
      if (bit !== ((before >> BigInt(at)) & 1n)) {
        names.push("moved");
        moved.push(at);
      }
      box.append(span(String(bit), names.join(" ")));
    }
  }
  const tag = (own & ((1n << BigInt(tagBits)) - 1n)).toString(2).padStart(tagBits, "0");
  box.setAttribute("aria-label", `${label} ${word}; tag bits ${tag}; bits changed: ${moved.length ? moved.join(", ") : "none"}`);
  return box;
}
