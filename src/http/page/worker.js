// The one connection of all tabs: browsers allow six to a server, and each stream takes one.

import { Source } from "./stream.js";

const ports = new Set();
const source = new Source((frame) => {
  for (const port of ports) port.postMessage(frame);
});

function join(port) {
  ports.add(port);
  if (source.state) port.postMessage(source.beginning());
}

addEventListener("connect", ({ ports: [port] }) => {
  port.addEventListener("message", ({ data }) => {
    if (data === "leave") ports.delete(port);
    if (data === "join") join(port);
  });
  port.start();
  join(port);
});
