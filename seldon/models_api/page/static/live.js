"use strict";
// While something is in training: fetch the page again and show what has changed.
const SECONDS = 2;

async function refresh() {
  const shown = document.querySelector("[data-live]");
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (answer.redirected) return location.reload(); // to the form that asks for the key
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("[data-live]");
        if (!fresh) return location.reload(); // done: all of the page is different now
        if (fresh.innerHTML !== shown.innerHTML) shown.replaceWith(document.adoptNode(fresh));
      }
    } catch {
      // The server is away for a moment; the next try will tell.
    }
  }
  setTimeout(refresh, SECONDS * 1000);
}

setTimeout(refresh, SECONDS * 1000);
