// Looks at a capture until there is nothing more to see. A look takes the card that has come, so it is a POST.
"use strict";

const EVERY_MS = 700;
const form = document.getElementById("look");
const says = document.getElementById("says");

async function look() {
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "error" });
    if (answer.status === 403 || answer.status === 404) {
      says.textContent = await answer.text();
      return;
    }
    if (answer.ok) {
      says.innerHTML = await answer.text();
    }
  } catch {
    // The network is away: what is shown stays, and the next look may do.
  }
  later();
}

function later() {
  const standing = says.firstElementChild;
  if (standing && standing.dataset.goesOn === "yes") {
    setTimeout(look, EVERY_MS);
  }
}

later();
