// The app around the guide's TypeScript class: `host SERVER SERIAL FOLDER`; the same files as Host.cs.

import { Lot, Outbox, Vente, VenteErreur, VenteSyncClient } from "./VenteSyncClient";

// Of Node.js, whose types need a package of their own.
declare function require(name: "fs"): {
  existsSync(path: string): boolean;
  readFileSync(path: string, encoding: "utf8"): string;
  truncateSync(path: string, length: number): void;
  openSync(path: string, flags: "a"): number;
  writeSync(file: number, text: string): void;
  fsyncSync(file: number): void;
};
declare function require(name: "crypto"): { webcrypto: Crypto };
declare const process: { argv: string[]; exit(code: number): void };
const fs = require("fs");

// Node.js 18 has it under another name.
if (typeof crypto === "undefined") Object.assign(globalThis, { crypto: require("crypto").webcrypto });

const PAUSE_MS = 3000;

class JournalOutbox implements Outbox {
  private readonly folder: string;
  private readonly journal: number;
  private readonly gone = new Set<string>();
  private readonly paused = new Map<string, number>();
  private open: Lot | null = null;

  constructor(folder: string) {
    this.folder = folder;
    const path = `${folder}/journal`;
    const text = fs.existsSync(path) ? fs.readFileSync(path, "utf8") : "";
    // What a crash has cut short has not happened.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole !== text) fs.truncateSync(path, new TextEncoder().encode(whole).length);
    this.journal = fs.openSync(path, "a");
    for (const line of whole.split("\n").filter((line) => line !== "")) this.apply(line.split("\t"));
  }

  async openLot(): Promise<Lot | null> {
    return this.open;
  }

  async waiting(max: number): Promise<Vente[]> {
    // The whole lines: somebody may be at the last one.
    const lines = fs.readFileSync(`${this.folder}/sales`, "utf8").split("\n").slice(0, -1);
    const sales = lines.map((line) => JSON.parse(line) as Vente).filter((sale) => !this.gone.has(sale.numero_facture));
    const pause = (sale: Vente) => this.paused.get(sale.numero_facture);
    const fresh = sales.filter((sale) => pause(sale) === undefined);
    const again = sales.filter((sale) => (pause(sale) ?? Infinity) <= Date.now());
    return [...fresh, ...again].slice(0, max);
  }

  async beginLot(lot: Lot): Promise<void> {
    this.commit(["begin", lot.key, lot.numbers.join(","), lot.body]);
  }

  async endLot(done: string[], later: VenteErreur[], aside: VenteErreur[]): Promise<void> {
    const names = (errors: VenteErreur[]) => errors.map((error) => `${error.numero_facture}:${error.code}`).join(",");
    this.commit(["end", done.join(","), names(later), names(aside)]);
  }

  private commit(fields: string[]): void {
    fs.writeSync(this.journal, `${fields.join("\t")}\n`);
    fs.fsyncSync(this.journal);
    this.apply(fields);
  }

  private apply([word, first = "", second = "", third = ""]: string[]): void {
    const names = (list: string) => list.split(",").filter((name) => name !== "").map((name) => name.split(":")[0] ?? "");
    if (word === "begin") {
      this.open = { key: first, body: third, numbers: second.split(",") };
      return;
    }
    this.open = null;
    for (const name of [...names(first), ...names(third)]) this.gone.add(name);
    for (const name of names(second)) this.paused.set(name, Date.now() + PAUSE_MS);
  }
}

const [server = "", serial = "", folder = ""] = process.argv.slice(2);
const client = new VenteSyncClient(server, serial, null, new JournalOutbox(folder), (text) => console.log(`told: ${text}`));
client.run(100, new AbortController().signal).catch((error) => {
  console.log(error);
  process.exit(1);
});
