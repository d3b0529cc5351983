// The old application: express with express-session in Redis. Its options come as JSON in argv[2]:
// {redisUrl, prefix, secrets, name?, maxAge?, disableTTL?}. Says its port on standard output.
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const options = JSON.parse(process.argv[2]);
const client = createClient({ url: options.redisUrl });
await client.connect();
const app = express();
app.use(
  session({
    store: new RedisStore({ client, prefix: options.prefix, disableTTL: options.disableTTL ?? false }),
    secret: options.secrets,
    name: options.name,
    resave: false,
    saveUninitialized: true,
    cookie: { maxAge: options.maxAge ?? null },
  }),
);
app.get("/guest", (request, response) => response.json({}));
// As Passport's req.logIn leaves it.
app.get("/login/:user", (request, response) => {
  request.session.passport = { user: request.params.user };
  request.session.basket = ["tea"];
  response.json({});
});
app.get("/me", (request, response) => response.json({ user: request.session.passport?.user ?? null }));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
