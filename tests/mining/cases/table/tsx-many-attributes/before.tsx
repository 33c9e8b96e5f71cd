const page = (
  <Board>
    <Sheet
      tallRows
      wideColumns
      flatCells={0}
      softEdges
      plainHeader
      slowScroll
      onPick={pick}
    />
    <Sheet softEdges slowScroll flatCells={1} />
  </Board>
);
