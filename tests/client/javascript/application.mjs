// An application outside a browser: reads calls as JSON lines, answers each with one.
//   {"open": {...}}            makes a client; its storage stays from one to the next
//   {"call": "login", "with": [...]}   -> {"told"} or {"error", "code"}
//   {"fetch": path, "init": {}, "times": n, "stream": bool} -> {"told": [[status, body], ...]}
//   {"storage": {...}}         sets how the storage behaves and gives what is in it
//   {"put": [key, text]}       puts something into it
//   {"order": true}            gives what was done since: requests with and without tokens, storing
//   {"events": true}           gives what was told of an end
import { createInterface } from "node:readline";

const { createClient } = await import(process.argv[2]);
const kept = new Map();
const behaves = { failing: false, locked: false };
const order = [];
const events = [];
let client;

const storage = {
  get: async (key) => {
    if (behaves.locked) throw new Error("the keychain is locked");
    return kept.get(key) ?? null;
  },
  set: async (key, value) => {
    if (behaves.failing) throw new Error("the keychain is full");
    order.push("set");
    kept.set(key, value);
  },
  remove: async (key) => {
    kept.delete(key);
  },
};

async function fetching(input, init) {
  order.push(new Headers(init?.headers).has("Authorization") ? "carried" : "bare");
  return fetch(input, init);
}

async function fetchOnce({ fetch: path, init, stream }) {
  const more = {};
  if (stream) {
    const body = new Blob([stream]).stream();
    Object.assign(more, { body, duplex: "half" });
  }
  const response = await client.fetch(path, { ...init, ...more });
  const text = await response.text();
  return [response.status, text.startsWith("{") ? JSON.parse(text) : text];
}

async function answer(job) {
  if (job.open) {
    client = createClient({ transport: "bearer", storage, fetch: fetching, ...job.open });
    client.addEventListener("signedout", (event) => events.push(event.detail));
    return null;
  }
  if (job.fetch) return Promise.all(Array.from({ length: job.times ?? 1 }, () => fetchOnce(job)));
  if (job.storage) {
    Object.assign(behaves, job.storage);
    return Object.fromEntries(kept);
  }
  if (job.put) return void kept.set(...job.put);
  if (job.events) return events;
  if (job.order) return order.splice(0);
  return (await client[job.call](...(job.with ?? []))) ?? null;
}

for await (const line of createInterface({ input: process.stdin })) {
  const told = await answer(JSON.parse(line)).then(
    (value) => ({ told: value ?? null }),
    (error) => ({ error: error.message, code: error.code ?? null }),
  );
  process.stdout.write(JSON.stringify(told) + "\n");
}
