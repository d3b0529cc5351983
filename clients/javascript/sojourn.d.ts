/** What the server says of a refusal. `code` is for programs and stays; `detail` is for people. */
export interface Problem {
  code: string;
  detail: string;
}

/** What the server refuses with. A request without an answer fails as `fetch` does, by a `TypeError`. */
export class SojournError extends Error {
  constructor(status: number, problem: Problem);
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

/** Where a bearer client keeps its tokens: a keychain, not a place that every script can read. */
export interface SecureStorage {
  get(key: string): Promise<string | null | undefined> | string | null | undefined;
  set(key: string, value: string): Promise<unknown> | unknown;
  remove(key: string): Promise<unknown> | unknown;
}

interface CommonOptions {
  /** The server; proofs go to its origin only. */
  url: string;
  /** The path under which the server has its login, refresh and logout; `/auth` by default. */
  prefix?: string;
  /** What sends requests; the platform's `fetch` by default. */
  fetch?: typeof globalThis.fetch;
}

/** For pages in a browser: proofs are in HttpOnly cookies, and no script ever sees them. */
export interface CookieOptions extends CommonOptions {
  transport?: "cookie";
  storage?: never;
}

/** For applications outside a browser: proofs are tokens, kept in the storage. */
export interface BearerOptions extends CommonOptions {
  transport: "bearer";
  storage: SecureStorage;
}

export type ClientOptions = CookieOptions | BearerOptions;

export type Mode = "session" | "jwt" | "hybrid";

export interface Account {
  email: string;
  password: string;
}

export interface Login extends Account {
  mode?: Mode;
  /** Whether the cookies outlive the browser; yes by default. */
  remember?: boolean;
}

export interface NewPassword {
  current: string;
  new: string;
}

export interface SignedIn {
  subject: string;
  sid: string;
  mode: Mode;
  /** The absolute end, in seconds since the epoch. */
  expires_at: number;
}

export interface Session extends SignedIn {
  roles: string[];
  scopes: string[];
  claims: Record<string, unknown>;
  amr: string[];
  auth_time: number;
}

export interface Device {
  sid: string;
  mode: Mode;
  created_at: number;
  seen_at: number;
  expires_at: number;
  user_agent: string;
  address: string;
  current: boolean;
}

export interface AccessToken extends SignedIn {
  access_token: string;
  token_type: "Bearer";
  expires_in: number;
}

/** What is kept in a `SecureStorage`, as JSON. */
export interface Tokens {
  access_token: string;
  refresh_token?: string;
  renew_at_ms: number;
}

/**
 * The sign-in is over. `detail.code` is `revoked`, `expired`, `refresh_reuse` (somebody has a copy),
 * `refresh_late`, `invalid_token`, `unauthenticated` (the cookies are gone), or `logout`.
 */
export interface SignedOutEvent {
  type: "signedout";
  detail: Problem;
}

export interface Client {
  /**
   * Fetches with the proofs, renewing them where they are over; `/path` is one of the server. What
   * goes to another origin is fetched without them.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

  /** Tells of the end of the sign-in, once, in every tab. */
  addEventListener(type: "signedout", listener: (event: SignedOutEvent) => void): void;
  removeEventListener(type: "signedout", listener: (event: SignedOutEvent) => void): void;

  /** Who is signed in, or null. The proofs are good then, as for a WebSocket that is opened next. */
  session(): Promise<Session | null>;
  login(login: Login): Promise<SignedIn>;
  logout(): Promise<void>;
  logoutOthers(): Promise<void>;
  logoutAll(): Promise<void>;
  sessions(): Promise<Device[]>;
  endSession(sid: string): Promise<void>;
  /** Makes an account; nobody is signed in by it. */
  register(account: Account): Promise<{ subject: string }>;
  changePassword(passwords: NewPassword): Promise<void>;
  /** Re-authenticates, for what asks for a recent sign-in. */
  confirm(proof: { password: string }): Promise<SignedIn>;
  /** A short access token for another service. */
  accessToken(wanted?: { audience?: string }): Promise<AccessToken>;
  /** Stops listening to other tabs; for a client that is thrown away before its page. */
  close(): void;
}

export function createClient(options: ClientOptions): Client;
