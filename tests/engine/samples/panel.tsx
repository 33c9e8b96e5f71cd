import React, { useState } from "react";

interface Props {
  title: string;
  open?: boolean;
  onClose: () => void;
}

export function Panel({ title, open = false, onClose }: Props) {
  const [count, setCount] = useState<number>(0);
  const label = count === 1 ? "click" : "clicks";

  if (!open) {
    return null;
  }
  return (
    <section className="panel" onClick={() => setCount(count + 1)}>
      <h2>{title}</h2>
      <p style={{ color: "red", margin: 0 }}>
        {count} {label}
      </p>
      {count > 3 && <strong>enough</strong>}
      <button type="button" onClick={onClose} disabled={count === 0}>
        Close
      </button>
      <br />
    </section>
  );
}
