// An app in Node: it keeps users without a name out of every room.
import { connect, headers } from "@nats-io/transport-node";

const manifest = {
  id: "namecheck",
  version: "1.0.0",
  implements: ["PreRoomUserJoined"],
  essentials: ["PreRoomUserJoined"], // without its answer no user joins
};

const nc = await connect({
  servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222",
  name: manifest.id,
  maxReconnectAttempts: -1,
});

function verdict({ joiningUser }) {
  return joiningUser.name ? { verdict: "allow" } : { verdict: "deny", reason: "tell us your name first" };
}

function answer(err, msg) {
  if (err) return console.error("subscription:", err.message);
  if (!msg.reply?.startsWith("_INBOX")) return; // never answer to anything but an inbox
  try {
    msg.respond(JSON.stringify(verdict(msg.json())));
  } catch (e) {
    const failure = headers();
    failure.set("Nats-Service-Error-Code", "500");
    failure.set("Nats-Service-Error", e.message);
    msg.respond("", { headers: failure });
  }
}

// Every worker hears a retry, so that it does not go to a worker that hangs. This worker decides one
// pre-event after the other. One that takes longer leaves out a retry of a ce-id that it has in hand.
const subject = `room.pre.userjoin.${manifest.id}`;
nc.subscribe(subject, { queue: manifest.id, callback: answer });
nc.subscribe(`${subject}.retry`, { callback: answer });
await nc.flush(); // from the registration on the app is asked

async function register() {
  for (;;) {
    try {
      const reply = await nc.request("room.app.register", JSON.stringify(manifest), { timeout: 5000 });
      const refusal = reply.headers?.get("Nats-Service-Error");
      if (!refusal) return console.log("registered");
      console.error("register:", refusal);
      if (reply.headers.get("Nats-Service-Error-Code") === "400") return nc.drain(); // it will be no better
    } catch (e) {
      if (nc.isClosed() || nc.isDraining()) return;
      console.error("register:", e.message); // the room service is away
    }
    await new Promise((wake) => setTimeout(wake, 1000));
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => nc.drain()); // answers what has come, then closes the connection
}

(async () => {
  for await (const status of nc.status()) {
    console.log(status.type);
    if (status.type === "reconnect") register(); // the server may have lost its data
  }
})();

// A registry that was lost has no trace of the app. One from which an operator removed it has.
async function keepRegistration() {
  const reply = await nc.request("room.app.info", JSON.stringify({ id: manifest.id }), { timeout: 5000 });
  if (reply.headers?.get("Nats-Service-Error") && reply.json().neverRegistered) await register();
}
const looking = setInterval(() => keepRegistration().catch(() => {}), 30_000);

await register();
const err = await nc.closed();
clearInterval(looking);
if (err) console.error("connection:", err.message);
console.log("ended");
process.exitCode = err ? 1 : 0;
