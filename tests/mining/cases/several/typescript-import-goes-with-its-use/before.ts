import { isRound } from "shapes-kit";

export function pick(shape: Shape) {
  if (isRound(shape)) {
    roll(shape);
  }
  return shape;
}
