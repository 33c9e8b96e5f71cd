export interface Entry<T> {
  key: string;
  value: T;
  expires?: number;
}

type Listener = (key: string, old: unknown) => void;

export class Store<T extends object> {
  private readonly entries = new Map<string, Entry<T>>();
  private listeners: Listener[] = [];

  constructor(private limit: number = 100) {}

  public get(key: string): T | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.expires !== undefined && entry.expires < Date.now()) {
      this.remove(key, entry as Entry<T>);
      return undefined;
    }
    return entry.value;
  }

  public set(key: string, value: T, lifetime?: number): void {
    const expires = lifetime ? Date.now() + lifetime : undefined;
    this.entries.set(key, { key, value, expires });
    while (this.entries.size > this.limit) {
      const first = this.entries.keys().next().value as string;
      this.entries.delete(first);
    }
  }

  private remove(key: string, entry: Entry<T>): boolean {
    this.listeners.forEach((listener) => listener(key, entry.value));
    return this.entries.delete(key);
  }
}
