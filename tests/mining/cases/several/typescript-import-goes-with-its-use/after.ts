export function pick(shape: Shape) {
  if (shape.form === "round") {
    roll(shape);
  }
  return shape;
}
