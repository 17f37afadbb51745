"use strict";

// The page shows by itself what has changed; without this file, "Look again" does.
const state = document.getElementById("state");
const gone = document.getElementById("gone");
const pause = 1000; // milliseconds
let shown = "";

function show(html) {
  // Whoever is pressing a button is to hit it.
  if (html === shown || state.querySelector(":active")) return;
  const focused = state.contains(document.activeElement) ? document.activeElement.id : "";
  state.innerHTML = html;
  shown = html;
  if (focused) document.getElementById(focused)?.focus();
}

async function refresh() {
  try {
    const answer = await fetch(state.dataset.url);
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.text());
    gone.hidden = true;
  } catch {
    gone.hidden = false;
  }
  setTimeout(refresh, pause);
}

refresh();
