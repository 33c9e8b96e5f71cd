import { Cart, CartItem } from "shop";

const cart = new Cart();
cart.add(new CartItem(1), new CartItem(2));
