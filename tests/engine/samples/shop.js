import { format } from "./format";
const prices = { apple: 3, pear: 4, };

export class Basket {
  constructor(owner) {
    this.owner = owner;
    this.items = [];
  }

  // Adds one kind of fruit.
  async add(name, count = 1) {
    if (!(name in prices)) {
      throw new Error(`no such fruit: ${name}`);
    } else if (count < 1) {
      return null;
    }
    for (let i = 0; i < count; i++) {
      this.items.push({ name, price: prices[name] });
    }
    console.log("added", name, count);
    return this.total();
  }

  total() {
    return this.items
      .map((item) => item.price)
      .reduce((sum, price) => sum + price, 0);
  }
}

function show(basket, ...notes) {
  const lines = basket.items.map(function (item) {
    return format(item.name, item.price);
  });
  console.log(lines.join("\n"), notes);
  var empty = lines.length == 0 ? "yes" : "no";
  return [empty, lines, show.name];
}
