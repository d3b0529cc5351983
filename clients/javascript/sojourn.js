// A client of a Sojourn server, for browsers, mobile web views and React Native. No dependencies.

/** @import * as Types from "./sojourn.d.ts" */

/** A 401 with one of these is put to the refresh endpoint, which mends it or knows why it cannot be. */
const MENDABLE = new Set(["refresh_required", "expired", "revoked", "invalid_token"]);
/** With one of these a refresh ends the sign-in; what else it is answered with decides nothing. */
const OVER = new Set(["expired", "revoked", "invalid_token", "refresh_reuse", "refresh_late"]);
const UNAUTHORIZED = 401;
const UNSUPPORTED_IN_MODE = 409;
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 10_000;

/** What the server refuses with: a problem document (RFC 9457). */
export class SojournError extends Error {
  /** @param {number} status @param {Types.Problem} problem */
  constructor(status, { code, detail }) {
    super(detail);
    this.name = "SojournError";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** @param {Types.ClientOptions} options @returns {Types.Client} */
export function createClient(options) {
  return new Client(options);
}

/** @implements {Types.Client} */
class Client {
  #server;
  /** @type {Cookies | Tokens} */
  #proofs;
  /** @type {Set<(event: Types.SignedOutEvent) => void>} */
  #listeners = new Set();
  #isOver = false; // told once, until somebody signs in again

  /** @param {Types.ClientOptions} options */
  constructor(options) {
    this.#server = new Server(options);
    const onstarted = () => (this.#isOver = false);
    const onended = (/** @type {Types.Problem} */ why) => this.#tell(why);
    this.#proofs =
      options.transport === "bearer"
        ? new Tokens(this.#server, options.storage, onstarted, onended)
        : new Cookies(this.#server, onstarted, onended);
  }

  /** @param {"signedout"} type @param {(event: Types.SignedOutEvent) => void} listener */
  addEventListener(type, listener) {
    if (type === "signedout") this.#listeners.add(listener);
  }

  /** @param {"signedout"} type @param {(event: Types.SignedOutEvent) => void} listener */
  removeEventListener(type, listener) {
    if (type === "signedout") this.#listeners.delete(listener);
  }

  /** @param {Types.Problem} detail */
  #tell(detail) {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const listener of [...this.#listeners]) listener({ type: "signedout", detail });
  }

  /** @param {string | URL | Request} input @param {RequestInit} [init] */
  async fetch(input, init = {}) {
    const target = this.#server.own(input);
    if (target === null) return this.#server.fetch(input, init); // another origin gets no proof
    const copy = copyOf(target, init);
    const used = await this.#proofs.ready();
    const response = await this.#server.fetch(target, this.#proofs.carry(target, init, used));
    if (response.status !== UNAUTHORIZED || !this.#server.hasSent(response)) return response;
    const problem = await problemIn(response);
    const isMended = problem !== null && (await this.#proofs.mend(used, problem));
    // Behind a redirect a page was refused, perhaps one shown after something was done.
    if (!isMended || copy === null || (response.redirected && !isRead(target, init))) return response;
    return this.#server.fetch(copy, this.#proofs.carry(copy, init, await this.#proofs.ready()));
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #call(method, path, body) {
    return answerIn(await this.fetch(this.#server.url(path), body ? json(method, body) : { method }));
  }

  async session() {
    try {
      const session = await this.#call("GET", "/session");
      this.#proofs.confirmed();
      return session;
    } catch (error) {
      if (error instanceof SojournError && error.status === UNAUTHORIZED) return null;
      throw error;
    }
  }

  /** @param {Types.Login} login */
  async login(login) {
    return this.#proofs.keep(await this.#proofs.ask("/login", { ...login, ...this.#proofs.wish }));
  }

  logout() {
    return this.#proofs.logout();
  }

  async logoutAll() {
    await this.#call("POST", "/logout-all");
    await this.#proofs.end({ code: "logout", detail: "you signed out everywhere" });
  }

  async logoutOthers() {
    await this.#call("POST", "/logout-others");
  }

  async sessions() {
    return (await this.#call("GET", "/sessions")).sessions;
  }

  /** @param {string} sid */
  async endSession(sid) {
    await this.#call("DELETE", `/sessions/${encodeURIComponent(sid)}`);
  }

  /** @param {Types.Account} account */
  register(account) {
    return this.#call("POST", "/register", account);
  }

  /** @param {Types.NewPassword} passwords */
  async changePassword(passwords) {
    await this.#proofs.keep(await this.#call("POST", "/password", passwords));
  }

  /** @param {{ password: string }} proof */
  async confirm(proof) {
    return this.#proofs.keep(await this.#call("POST", "/confirm", proof));
  }

  /** @param {{ audience?: string }} [wanted] */
  accessToken(wanted = {}) {
    return this.#call("POST", "/access-token", wanted);
  }

  close() {
    this.#listeners.clear();
    this.#proofs.close();
  }
}

/** Proofs in HttpOnly cookies, which no script sees; all tabs of the browser share them. */
class Cookies {
  wish = { transport: "cookie" };
  #server;
  #onstarted;
  #onended;
  #name;
  #channel;
  #renewals = 0; // how often this tab has heard of new cookies
  #isSignedIn = false; // as far as this tab knows
  /** @type {Promise<boolean> | null} */
  #flight = null;

  /** @param {Server} server @param {() => void} onstarted @param {(why: Types.Problem) => void} onended */
  constructor(server, onstarted, onended) {
    this.#server = server;
    this.#onstarted = onstarted;
    this.#onended = onended;
    this.#name = `sojourn-refresh:${server.origin}`;
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel(this.#name) : null;
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data.ended) this.#gone(data.ended);
      else this.#renewed();
    });
  }

  async ready() {
    return this.#renewals;
  }

  /** @param {string | Request} _target @param {RequestInit} init @param {any} [_used] @returns {RequestInit} */
  carry(_target, init, _used) {
    return { ...init, credentials: "include" };
  }

  /** @param {string} path @param {object} body */
  async ask(path, body) {
    return answerIn(await this.#server.call(path, this.carry(path, json("POST", body))));
  }

  /** @template T @param {T} answer */
  async keep(answer) {
    this.#renewed();
    this.#channel?.postMessage({ renewed: true });
    return answer;
  }

  confirmed() {
    this.#isSignedIn = true;
    this.#onstarted();
  }

  async logout() {
    await this.ask("/logout", {});
    await this.end({ code: "logout", detail: "you signed out" });
  }

  /** @param {Types.Problem} why */
  async end(why) {
    this.#gone(why);
    this.#channel?.postMessage({ ended: why });
  }

  /** @param {any} used @param {Types.Problem} problem */
  async mend(used, problem) {
    const isLate = used !== this.#renewals; // the request went out before somebody signed in
    if (problem.code === "unauthenticated" && !isLate) await this.end(problem); // the cookies are gone
    if (!MENDABLE.has(problem.code)) return false;
    this.#flight ??= alone(this.#name, () => this.#renew(used, problem)).finally(() => {
      this.#flight = null;
    });
    return this.#flight;
  }

  /**
   * Gets new cookies, while no other tab of this origin does. Whether one was first is asked of the
   * server, too: its word reaches every tab, but perhaps only after the lock does.
   * @param {number} used @param {Types.Problem} problem
   */
  async #renew(used, problem) {
    if (this.#renewals !== used) return true;
    try {
      if ((await this.#server.call("/session", this.carry("", {}))).ok) return true;
      await this.keep(await this.ask("/refresh", {}));
      return true;
    } catch (error) {
      const status = error instanceof SojournError ? error.status : 0;
      if (status !== UNAUTHORIZED && status !== UNSUPPORTED_IN_MODE) return false; // not decided
      const known = [problemOf(error), problem].find(({ code }) => OVER.has(code));
      await this.end(known ?? { code: "unauthenticated", detail: problemOf(error).detail });
      return false;
    }
  }

  #renewed() {
    this.#renewals += 1;
    this.confirmed();
  }

  /** @param {Types.Problem} why */
  #gone(why) {
    // Who was not signed in, as far as this tab knows, has not been signed out.
    if (this.#isSignedIn || why.code !== "unauthenticated") this.#onended(why);
    this.#isSignedIn = false;
  }

  close() {
    this.#channel?.close();
  }
}

/** Proofs that this client holds itself, in the storage it is given, which no other client uses. */
class Tokens {
  wish = { transport: "bearer" };
  #server;
  #storage;
  #onstarted;
  #onended;
  #key;
  /** @type {Promise<Types.Tokens | null> | null} */
  #loaded = null;
  /** @type {Promise<boolean> | null} */
  #flight = null;

  /**
   * @param {Server} server @param {Types.SecureStorage} storage
   * @param {() => void} onstarted @param {(why: Types.Problem) => void} onended
   */
  constructor(server, storage, onstarted, onended) {
    this.#server = server;
    this.#storage = storage;
    this.#onstarted = onstarted;
    this.#onended = onended;
    this.#key = `sojourn.${server.origin.replace(/[^\w.-]/g, "_")}`; // what keychains take as a name
  }

  #load() {
    this.#loaded ??= Promise.resolve(this.#storage.get(this.#key))
      .then((text) => (text ? JSON.parse(text) : null))
      .catch((error) => {
        this.#loaded = null; // a locked keychain opens later
        throw error;
      });
    return this.#loaded;
  }

  async ready() {
    const used = await this.#load();
    if (!used?.refresh_token || Date.now() < used.renew_at_ms) return used;
    await this.mend(used, { code: "expired", detail: "the access token is nearly over" });
    return (await this.#load()) ?? used;
  }

  /** @param {string | Request} target @param {RequestInit} init @param {any} used @returns {RequestInit} */
  carry(target, init, used) {
    if (!used) return init;
    const headers = new Headers(init.headers ?? (isRequest(target) ? target.headers : undefined));
    headers.set("Authorization", `Bearer ${used.access_token}`);
    return { ...init, headers };
  }

  /** @param {string} path @param {object} body */
  async ask(path, body) {
    return answerIn(await this.#server.call(path, json("POST", body)));
  }

  /** @param {any} answer */
  async keep({ access_token, refresh_token, token_type, expires_in, ...signedIn }) {
    const life = expires_in * 1000;
    const renew_at_ms = Date.now() + life - Math.min(RENEW_BEFORE_MS, life / 10);
    const tokens = { access_token, refresh_token, renew_at_ms };
    await this.#storage.set(this.#key, JSON.stringify(tokens)); // before they are used
    this.#loaded = Promise.resolve(tokens);
    this.#onstarted();
    return signedIn;
  }

  confirmed() {
    this.#onstarted();
  }

  async logout() {
    await this.#flight?.catch(() => {}); // whoever waits for it is told of its failure
    const used = await this.#load();
    await this.end({ code: "logout", detail: "you signed out" });
    const init = this.carry("", json("POST", {}), used);
    if (used) await answerIn(await this.#server.call("/logout", init));
  }

  /** @param {Types.Problem} why */
  async end(why) {
    this.#loaded = Promise.resolve(null);
    await this.#storage.remove(this.#key);
    this.#onended(why);
  }

  /** @param {any} used @param {Types.Problem} problem */
  async mend(used, problem) {
    if (!used || !MENDABLE.has(problem.code)) return false;
    this.#flight ??= this.#renew(used, problem).finally(() => {
      this.#flight = null;
    });
    return this.#flight;
  }

  /** @param {Types.Tokens} used @param {Types.Problem} problem */
  async #renew(used, problem) {
    const current = await this.#load();
    if (current === null) return false;
    if (current.access_token !== used.access_token) return true; // a late refusal of older ones
    let answer;
    try {
      if (!used.refresh_token) throw new SojournError(UNAUTHORIZED, problem);
      answer = await this.ask("/refresh", { refresh_token: used.refresh_token });
    } catch (error) {
      if (OVER.has(problemOf(error).code)) await this.end(problemOf(error));
      return false; // otherwise nothing was decided: the next request tries again
    }
    if (!answer?.access_token) return false; // a captive portal
    await this.keep(answer);
    return true;
  }

  close() {}
}

/** Where the server is, and what is sent to it. */
class Server {
  #base;

  /** @param {Types.ClientOptions} options */
  constructor({ url, prefix = "/auth", fetch = globalThis.fetch.bind(globalThis) }) {
    const origin = /^https?:\/\/[^/?#\\@\s]+/.exec(url)?.[0];
    if (!origin) throw new TypeError(`url is ${url}; give the server's, as https://app.example.com`);
    this.origin = origin;
    this.fetch = fetch;
    this.#base = url.replace(/\/+$/, "");
    this.prefix = prefix;
  }

  /** @param {string} path */
  url(path) {
    return this.#base + this.prefix + path;
  }

  /**
   * Gives what to fetch where it is of the server's origin, else null. Judged by its text, since not
   * every platform has a whole `URL`: another spelling of the origin counts as another.
   * @param {string | URL | Request} input
   */
  own(input) {
    const text = isRequest(input) ? input.url : String(input);
    if (text.startsWith("/")) return this.#base + text;
    const isOwn = text.startsWith(this.origin) && /^([/?#]|$)/.test(text.slice(this.origin.length));
    return isOwn ? (isRequest(input) ? input : text) : null;
  }

  /**
   * Tells whether a response is the server's, and not of whoever a redirect led to.
   * @param {Response} response
   */
  hasSent(response) {
    return !response.url || this.own(response.url) !== null; // not every platform says
  }

  /**
   * Sends a call of the client's own. It follows no redirect: there may be tokens in it.
   * @param {string} path @param {RequestInit} init
   */
  call(path, init) {
    const signal = globalThis.AbortSignal?.timeout?.(TIMEOUT_MS);
    return this.fetch(this.url(path), { ...init, cache: "no-store", redirect: "error", signal });
  }
}

/** @param {any} input @returns {input is Request} */
function isRequest(input) {
  return typeof input === "object" && "headers" in input;
}

/** @param {string | Request} target @param {RequestInit} init */
function isRead(target, init) {
  return /^(GET|HEAD)$/i.test(init.method ?? (isRequest(target) ? target.method : "GET"));
}

/**
 * Gives what can be sent again; null where a body is made as it is sent.
 * @param {string | Request} target @param {RequestInit} init
 */
function copyOf(target, init) {
  const isStream = globalThis.ReadableStream && init.body instanceof ReadableStream;
  if (isStream) return null;
  return isRequest(target) ? target.clone() : target;
}

/** @param {string} method @param {object} body */
function json(method, body) {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** @param {Response} response @returns {Promise<any>} */
async function answerIn(response) {
  if (!response.ok) {
    const problem = { code: "unexpected_answer", detail: `the server answered ${response.status}` };
    throw new SojournError(response.status, (await problemIn(response)) ?? problem);
  }
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** @param {Response} response @returns {Promise<Types.Problem | null>} */
async function problemIn(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/problem+json")) return null;
  const { code, detail } = await response.clone().json().catch(() => ({}));
  return typeof code === "string" ? { code, detail: String(detail) } : null;
}

/** @param {unknown} error @returns {Types.Problem} */
function problemOf(error) {
  const known = error instanceof SojournError;
  return known ? { code: error.code, detail: error.detail } : { code: "", detail: String(error) };
}

/**
 * Does something while no other tab does; where the platform has no locks, at least in this one.
 * @template T @param {string} name @param {() => Promise<T>} act @returns {Promise<T>}
 */
async function alone(name, act) {
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(name, act) : act();
}
