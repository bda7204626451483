// Keeps a page fresh and follows a log. Pages read the same without it; nothing here makes HTML out of text.
"use strict";

// #fresh is replaced by its newer self until the server no longer asks for it. What the reader opened stays open.
function keepFresh() {
  const section = document.getElementById("fresh");
  const pause = section && Number(section.dataset.refresh);
  if (!pause) return;
  setTimeout(async () => {
    if (document.visibilityState === "visible" && !chosen()) {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (answer.ok) swap(section, new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch {
        // The service is away; the next try may find it.
      }
    }
    keepFresh();
  }, pause);
}

function chosen() {
  const selection = getSelection();
  return selection && !selection.isCollapsed;
}

function swap(section, page) {
  const fresh = page.getElementById("fresh");
  if (!fresh || fresh.outerHTML === section.dataset.seen) return;
  const seen = fresh.outerHTML;
  const before = [...section.querySelectorAll("details")];
  const after = [...fresh.querySelectorAll("details")];
  if (before.length === after.length) after.forEach((details, at) => { details.open = before[at].open; });
  fresh.dataset.seen = seen;
  section.replaceWith(fresh);
  document.title = page.title;
}

// Appends lines as text, and keeps to the end of the page if the reader is there.
function follow(log) {
  const events = new EventSource(log.dataset.follow);
  events.onmessage = (event) => {
    const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 40;
    for (const line of JSON.parse(event.data)) {
      const time = document.createElement("time");
      time.textContent = line.at;
      log.append(time, " " + line.text + "\n");
    }
    while (log.childNodes.length > 20000) log.firstChild.remove();
    if (atEnd) scrollTo(0, document.body.scrollHeight);
  };
  events.addEventListener("end", () => {
    events.close();
    const state = document.getElementById("state");
    if (state) state.textContent = "ended";
  });
}

keepFresh();
const log = document.getElementById("log");
if (log && log.dataset.follow) {
  scrollTo(0, document.body.scrollHeight);
  follow(log);
}
