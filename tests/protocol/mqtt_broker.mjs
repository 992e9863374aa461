// An MQTT 5 broker of a few lines, for what Mosquitto does not do when it is asked to. Packets are shorter
// than 128 bytes: the remaining length is one byte (MQTT 5 section 1.5.5).

import { createServer } from 'node:net';

export class SmallBroker {
  static async start() {
    const broker = new SmallBroker();
    broker.connections = 0;
    broker.asked = []; // [connection, filter]
    broker.refuses = new Set();
    broker.confirmed = new Set(); // packet ids
    broker.questions = 0; // UNSUBSCRIBE
    broker.reads = true; // or nothing behind SUBSCRIBE is taken note of
    broker.listener = createServer((socket) => broker.serve(socket));
    await new Promise((resolve) => broker.listener.listen(0, '127.0.0.1', resolve));
    broker.url = `mqtt://127.0.0.1:${broker.listener.address().port}`;
    return broker;
  }
  serve(socket) {
    let connection = 0;
    let bytes = Buffer.alloc(0);
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (more) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes[1]) {
        if (bytes[0] >> 4 === 1) connection = ++this.connections; // CONNECT
        this.take(connection, socket, bytes.subarray(0, 2 + bytes[1]));
        bytes = bytes.subarray(2 + bytes[1]);
      }
    });
  }
  take(connection, socket, packet) {
    const type = packet[0] >> 4;
    if (type === 1) socket.write(Buffer.from([0x20, 3, connection > 1 ? 1 : 0, 0, 0])); // CONNACK
    if (type === 12) socket.write(Buffer.from([0xd0, 0])); // PINGRESP
    if (type === 8) this.subscribe(connection, socket, packet);
    if (!this.reads) return;
    if (type === 4) this.confirmed.add(packet.readUInt16BE(2)); // PUBACK
    if (type === 10) this.questions += 1;
    if (type === 10) socket.write(Buffer.from([0xb0, 4, packet[2], packet[3], 0, 0x11])); // UNSUBACK
  }
  subscribe(connection, socket, packet) {
    const [high, low, properties] = packet.subarray(2);
    const rest = packet.subarray(5 + properties);
    const filter = rest.subarray(2, 2 + rest.readUInt16BE(0)).toString();
    this.asked.push([connection, filter]);
    socket.write(Buffer.from([0x90, 4, high, low, 0, this.refuses.has(filter) ? 0x87 : 1])); // SUBACK
  }
  /** `count` messages at once: ids and payloads from `first` on; `again`: with the DUP flag. */
  publish(first, count, { again = false, qos = 1 } = {}) {
    const packets = Array.from({ length: count }, (_, n) => {
      const id = first + n;
      const payload = Buffer.from(String(id));
      const named = qos ? [id >> 8, id & 255] : [];
      const length = 4 + named.length + payload.length;
      const head = Buffer.from([0x30 + 2 * qos + (again ? 8 : 0), length, 0, 1, 0x74, ...named, 0]);
      return Buffer.concat([head, payload]);
    });
    this.socket.write(Buffer.concat(packets));
  }
  /** The connection breaks. */
  end() {
    this.socket.destroy();
  }
  stop() {
    this.listener.close();
  }
}
