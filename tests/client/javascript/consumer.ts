// How an application sees the types; checked, never run.
import {
  createClient,
  SojournError,
  type Client,
  type Device,
  type SecureStorage,
  type Session,
} from "@sojourn/client";

const browser: Client = createClient({ url: "https://app.example.com" });
const keychain: SecureStorage = {
  get: async (key: string) => (key ? "" : null),
  set: async () => {},
  remove: () => undefined,
};
const mobile = createClient({ url: "https://app.example.com", transport: "bearer", storage: keychain });

export async function use(): Promise<string> {
  browser.addEventListener("signedout", ({ detail }) => {
    const code: string = detail.code;
    console.log(code, detail.detail);
  });
  const session: Session | null = await browser.session();
  const devices: Device[] = await mobile.sessions();
  const current = devices.find((device) => device.current)?.sid ?? "";
  const response: Response = await mobile.fetch("/notes", { method: "POST", body: "a note" });
  await mobile.fetch(new URL("https://app.example.com/notes"));
  const { access_token, expires_in } = await browser.accessToken({ audience: "billing" });
  try {
    await browser.login({ email: "ann@example.com", password: "…", mode: "hybrid" });
  } catch (error) {
    if (error instanceof SojournError && error.code === "invalid_credentials") return error.detail;
  }
  return `${session?.subject}${current}${response.status}${access_token}${expires_in + 1}`;
}

// @ts-expect-error a bearer client needs a storage
createClient({ url: "https://app.example.com", transport: "bearer" });
// @ts-expect-error a page has none: its cookies are not for scripts
createClient({ url: "https://app.example.com", storage: keychain });
// @ts-expect-error there is no such mode
void browser.login({ email: "ann@example.com", password: "…", mode: "forever" });
// @ts-expect-error nothing else is told
browser.addEventListener("signedin", () => {});
// @ts-expect-error who is signed in may be nobody
void browser.session().then((session) => session.subject);
