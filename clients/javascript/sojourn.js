// A client of a Sojourn server, for browsers, mobile web views and React Native. No dependencies.

/** @import { BearerOptions, ClientOptions, Problem, SecureStorage, SignedIn, SignedOutEvent } from "./sojourn.d.ts" */

/** A 401 with one of these is put to the refresh endpoint, which mends it or knows why it cannot be. */
const MENDABLE = new Set(["refresh_required", "expired", "revoked", "invalid_token"]);
/** The sign-in is over; what else a refresh is answered with decides nothing. */
const OVER = new Set(["expired", "revoked", "invalid_token", "refresh_reuse", "refresh_late"]);
const UNAUTHORIZED = 401;
const UNSUPPORTED_IN_MODE = 409;
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 10_000;

/** What the server, or the way to it, refuses with: a problem document (RFC 9457). */
export class SojournError extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail || code);
    this.name = "SojournError";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** @param {ClientOptions} options */
export function createClient(options) {
  return new Client(options);
}

class Client {
  #base;
  #proofs;
  #server;
  /** @type {Set<(event: SignedOutEvent) => void>} */
  #listeners = new Set();
  /** @type {Problem | null} Why the sign-in is over; told once, until somebody signs in again. */
  #ended = null;

  /** @param {ClientOptions} options */
  constructor(options) {
    this.#server = new Server(options);
    this.#base = options.prefix ?? "/auth";
    this.#proofs =
      options.transport === "bearer"
        ? new Tokens(this.#server, this.#base, options)
        : new Cookies(this.#server, this.#base);
    this.#proofs.onstarted = () => (this.#ended = null);
    this.#proofs.onended = (problem) => this.#end(problem);
  }

  /** @param {string} type @param {(event: SignedOutEvent) => void} listener */
  addEventListener(type, listener) {
    if (type === "signedout") this.#listeners.add(listener);
  }

  /** @param {string} type @param {(event: SignedOutEvent) => void} listener */
  removeEventListener(type, listener) {
    if (type === "signedout") this.#listeners.delete(listener);
  }

  /** @param {Problem} problem */
  #end(problem) {
    if (this.#ended) return;
    this.#ended = problem;
    const event = { type: /** @type {const} */ ("signedout"), detail: problem };
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** @param {string | URL | Request} input @param {RequestInit} [init] */
  async fetch(input, init = {}) {
    const target = this.#server.own(input);
    if (target === null) return this.#server.fetch(input, init); // another origin gets no proof
    const again = repeatable(target, init);
    const used = await this.#proofs.ready();
    const response = await this.#server.fetch(target, this.#proofs.carry(target, init, used));
    if (response.status !== UNAUTHORIZED) return response;
    const problem = await problemIn(response);
    if (!problem || !(await this.#proofs.mend(used, problem)) || again === null) return response;
    return this.#server.fetch(again, this.#proofs.carry(again, init, await this.#proofs.ready()));
  }

  /** @param {string} method @param {string} path @param {object} [body] */
  async #call(method, path, body) {
    return told(await this.fetch(this.#base + path, json(method, body)));
  }

  async session() {
    const response = await this.fetch(`${this.#base}/session`);
    if (response.status === UNAUTHORIZED) return null;
    const session = await told(response);
    this.#proofs.known();
    return session;
  }

  /** @param {{email: string, password: string, mode?: string, remember?: boolean}} account */
  async login(account) {
    return this.#proofs.keep(await this.#proofs.ask("/login", { ...account, ...this.#proofs.asking }));
  }

  async logout() {
    await this.#proofs.leave();
    await this.#proofs.end({ code: "logout", detail: "you signed out" });
  }

  /** @param {{email: string, password: string}} account */
  register(account) {
    return this.#call("POST", "/register", account);
  }

  refresh() {
    return this.#proofs.refresh();
  }

  logoutOthers() {
    return this.#call("POST", "/logout-others");
  }

  async logoutAll() {
    await this.#call("POST", "/logout-all");
    await this.#proofs.end({ code: "logout", detail: "you signed out everywhere" });
  }

  async sessions() {
    return (await this.#call("GET", "/sessions")).sessions;
  }

  /** @param {string} sid */
  endSession(sid) {
    return this.#call("DELETE", `/sessions/${encodeURIComponent(sid)}`);
  }

  /** @param {{current: string, new: string}} passwords */
  async changePassword(passwords) {
    await this.#proofs.keep((await this.#call("POST", "/password", passwords)) ?? {});
  }

  /** @param {{password: string}} proof */
  async confirm(proof) {
    return this.#proofs.keep(await this.#call("POST", "/confirm", proof));
  }

  /** @param {{audience?: string}} [wanted] */
  accessToken(wanted = {}) {
    return this.#call("POST", "/access-token", wanted);
  }

  close() {
    this.#proofs.close();
    this.#listeners.clear();
  }
}

/** Where the server is, and what is sent to it. */
class Server {
  /** @param {ClientOptions} options */
  constructor({ url, fetch = globalThis.fetch.bind(globalThis) }) {
    const origin = /^https?:\/\/[^/?#\\@\s]+/.exec(url)?.[0];
    if (!origin) throw new TypeError(`url is ${url}; give the server's, as https://app.example.com`);
    this.origin = origin;
    this.base = url.replace(/\/+$/, "");
    this.fetch = fetch;
  }

  /**
   * Gives what to fetch where it is of the server's origin, else null. By its text, since not
   * every platform has a whole `URL`; another spelling of the same origin counts as another.
   * @param {string | URL | Request} input
   */
  own(input) {
    const text = isRequest(input) ? input.url : String(input);
    if (text.startsWith("/")) return this.base + text;
    const isOwn = text.startsWith(this.origin) && /^([/?#]|$)/.test(text.slice(this.origin.length));
    return isOwn ? (isRequest(input) ? input : text) : null;
  }

  /**
   * Sends a call of the client's own, which follows no redirect: its body may hold tokens.
   * @param {string} path @param {RequestInit} init
   */
  call(path, init) {
    return this.fetch(this.base + path, {
      ...init,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout?.(TIMEOUT_MS),
    });
  }
}

/** What cookies and tokens have in common. */
class Proofs {
  onstarted = () => {};
  /** @type {(problem: Problem) => void} */
  onended = () => {};
  /** @type {object} What a login asks for. */
  asking = {};
  /** @type {Promise<boolean> | null} */
  flight = null;

  /** @param {Server} server @param {string} prefix */
  constructor(server, prefix) {
    this.server = server;
    this.prefix = prefix;
  }

  /** @param {string} path @param {object} body @param {RequestInit} [more] @returns {Promise<any>} */
  async ask(path, body, more = {}) {
    return told(await this.server.call(this.prefix + path, { ...json("POST", body), ...more }));
  }

  known() {}
  close() {}
}

/** Proofs in HttpOnly cookies, which scripts never see; shared by all tabs of the browser. */
class Cookies extends Proofs {
  #renewals = 0; // how often this tab has heard of new cookies
  #isKnown = false;
  #channel;
  #name;

  /** @param {Server} server @param {string} prefix */
  constructor(server, prefix) {
    super(server, prefix);
    this.#name = `sojourn-refresh:${server.origin}`;
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel(this.#name) : null;
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data.ended) this.#gone(data.ended);
      else this.#renewed();
    });
  }

  /** @param {string} path @param {object} body */
  ask(path, body) {
    return super.ask(path, body, { credentials: "include" });
  }

  async ready() {
    return this.#renewals;
  }

  /** @param {string | Request} _ @param {RequestInit} init */
  carry(_, init) {
    return { ...init, credentials: /** @type {const} */ ("include") };
  }

  known() {
    this.#isKnown = true;
    this.onstarted();
  }

  /** @param {SignedIn} signedIn */
  async keep(signedIn) {
    this.#renewed();
    this.#channel?.postMessage({});
    return signedIn;
  }

  async leave() {
    await this.ask("/logout", {});
  }

  /** @param {Problem} problem */
  async end(problem) {
    this.#gone(problem);
    this.#channel?.postMessage({ ended: problem });
  }

  async refresh() {
    await this.keep(await this.ask("/refresh", {}));
  }

  /** @param {number} used @param {Problem} problem */
  async mend(used, problem) {
    if (problem.code === "unauthenticated" && this.#isKnown) await this.end(problem);
    if (!MENDABLE.has(problem.code)) return false;
    this.flight ??= alone(this.#name, () => this.#renew(used, problem)).finally(() => {
      this.flight = null;
    });
    return this.flight;
  }

  /**
   * Gets new cookies, as the only tab of this origin that does. Whether another was first is asked of
   * the server: its word reaches every tab, but perhaps only after the lock does.
   * @param {number} used @param {Problem} problem
   */
  async #renew(used, problem) {
    if (this.#renewals !== used) return true;
    try {
      const init = { credentials: /** @type {const} */ ("include") };
      if ((await this.server.call(`${this.prefix}/session`, init)).ok) return true;
      await this.refresh();
      return true;
    } catch (error) {
      if (!(error instanceof SojournError)) return false; // no answer: it is tried again next time
      if (![UNAUTHORIZED, UNSUPPORTED_IN_MODE].includes(error.status)) return false;
      const why = [error, problem].find(({ code }) => OVER.has(code));
      await this.end(asProblem(why ?? { code: "unauthenticated", detail: error.detail }));
      return false;
    }
  }

  #renewed() {
    this.#renewals += 1;
    this.known();
  }

  /** @param {Problem} problem */
  #gone(problem) {
    this.#isKnown = false;
    this.onended(problem);
  }

  close() {
    this.#channel?.close();
  }
}

/** Proofs that this client holds itself, in the storage it is given; one process uses a storage. */
class Tokens extends Proofs {
  asking = { transport: "bearer" };
  #storage;
  #key;
  /** @type {Promise<SignedIn | null> | null} */
  #loaded = null;

  /** @param {Server} server @param {string} prefix @param {BearerOptions} options */
  constructor(server, prefix, options) {
    super(server, prefix);
    /** @type {SecureStorage} */
    this.#storage = options.storage;
    this.#key = `sojourn.${server.origin.replace(/[^\w.-]/g, "_")}`; // what keychains take as a name
  }

  #load() {
    this.#loaded ??= Promise.resolve(this.#storage.get(this.#key)).then((text) =>
      text ? JSON.parse(text) : null,
    );
    return this.#loaded;
  }

  async ready() {
    const used = await this.#load();
    if (!used?.refresh_token || Date.now() < used.renew_at_ms) return used;
    await this.mend(used, { code: "expired", detail: "the access token is over" });
    return (await this.#load()) ?? used;
  }

  /** @param {string | Request} target @param {RequestInit} init @param {SignedIn | null} used */
  carry(target, init, used) {
    if (!used) return init;
    const headers = new Headers(init.headers ?? (isRequest(target) ? target.headers : undefined));
    headers.set("Authorization", `Bearer ${used.access_token}`);
    return { ...init, headers };
  }

  /** @param {any} answer */
  async keep(answer) {
    const { access_token, refresh_token, expires_in, token_type, ...signedIn } = answer;
    if (!access_token) throw new SojournError(200, "invalid_answer", "there are no tokens in the answer");
    const life = expires_in * 1000;
    const renew_at_ms = Date.now() + life - Math.min(RENEW_BEFORE_MS, life / 10);
    const tokens = { access_token, refresh_token, renew_at_ms };
    await this.#storage.set(this.#key, JSON.stringify(tokens)); // before they are used
    this.#loaded = Promise.resolve(tokens);
    this.onstarted();
    return signedIn;
  }

  async leave() {
    await this.flight?.catch(() => {});
    const used = await this.#load();
    await this.#forget();
    if (used) await this.ask("/logout", {}, this.carry("", json("POST", {}), used));
  }

  /** @param {Problem} problem */
  async end(problem) {
    await this.#forget();
    this.onended(problem);
  }

  async refresh() {
    const used = await this.#load();
    if (!used?.refresh_token) throw new SojournError(401, "unauthenticated", "there is nothing to refresh");
    await this.keep(await this.ask("/refresh", { refresh_token: used.refresh_token }));
  }

  /** @param {SignedIn | null} used @param {Problem} problem */
  async mend(used, problem) {
    if (!used || !MENDABLE.has(problem.code)) return false;
    this.flight ??= this.#renew(used, problem).finally(() => {
      this.flight = null;
    });
    return this.flight;
  }

  /** @param {SignedIn} used @param {Problem} problem */
  async #renew(used, problem) {
    const current = await this.#load();
    if (current?.access_token !== used.access_token) return current !== null;
    try {
      if (!used.refresh_token) throw new SojournError(UNAUTHORIZED, problem.code, problem.detail);
      await this.refresh();
      return true;
    } catch (error) {
      if (error instanceof SojournError || error instanceof TypeError) {
        if (error instanceof SojournError && OVER.has(error.code)) await this.end(asProblem(error));
        return false;
      }
      throw error;
    }
  }

  async #forget() {
    this.#loaded = Promise.resolve(null);
    await this.#storage.remove(this.#key);
  }
}
