// The other side: reads jobs as JSON from standard input, answers them in order.
//   {op: "sign", alg, jwk, claims}            -> {token}
//   {op: "verify", alg, jwk, token, issuer, audience, now} -> {claims} or {error}
//   {op: "thumbprint", jwk}                   -> {thumbprint}
import { readFileSync } from "node:fs";
import { SignJWT, calculateJwkThumbprint, importJWK, jwtVerify } from "jose";

async function answer(job) {
  try {
    if (job.op === "thumbprint") return { thumbprint: await calculateJwkThumbprint(job.jwk) };
    const key = await importJWK(job.jwk, job.alg);
    if (job.op === "sign") {
      const header = { alg: job.alg, kid: job.jwk.kid, typ: "at+jwt" };
      return { token: await new SignJWT(job.claims).setProtectedHeader(header).sign(key) };
    }
    const { payload } = await jwtVerify(job.token, key, {
      algorithms: [job.alg],
      issuer: job.issuer,
      audience: job.audience,
      typ: "at+jwt",
      currentDate: new Date(job.now * 1000),
    });
    return { claims: payload };
  } catch (error) {
    return { error: error.code ?? String(error) };
  }
}

const jobs = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await Promise.all(jobs.map(answer))));
