import { OldCart, OldCartItem } from "shop";

const cart = new OldCart();
cart.add(new OldCartItem(1), new OldCartItem(2));
