// New notes appear while the page is open. Without this script the page works all the same.
"use strict";

const list = document.querySelector("[data-live]");
const status = document.querySelector("#live");

function show(note) {
  if (document.getElementById(`note-${note.id}`)) return;
  const item = document.querySelector("#new-note").content.firstElementChild.cloneNode(true);
  const time = item.querySelector("time");
  item.id = `note-${note.id}`;
  item.querySelector(".text").textContent = note.text;
  time.dateTime = new Date(note.written_at * 1000).toISOString();
  item.querySelector("form").action = `/notes/${note.id}/delete`;
  list.prepend(item);
  document.querySelector("#none")?.remove();
}

// Why was it closed? Asking renews a short token in passing; then the page goes on listening.
async function closed() {
  const answer = await fetch("/me", { headers: { Accept: "application/json" } }).catch(() => null);
  if (answer?.status === 401) {
    status.hidden = false;
    status.querySelector("a").focus();
  } else {
    setTimeout(listen, 2000);
  }
}

function listen() {
  if (list.dataset.live === "websocket") {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/live`);
    socket.addEventListener("message", (event) => show(JSON.parse(event.data)));
    socket.addEventListener("close", closed);
  } else if (list.dataset.live === "events") {
    const events = new EventSource("/live");
    events.addEventListener("message", (event) => show(JSON.parse(event.data)));
    events.addEventListener("error", () => {
      events.close();
      closed();
    });
  }
}

listen();
