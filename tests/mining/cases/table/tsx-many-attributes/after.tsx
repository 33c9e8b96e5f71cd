const page = (
  <Board>
    <Sheet
      tallLines
      wideStripes
      flatBoxes={0}
      softBorders
      plainTop
      slowRoll
      onPick={pick}
    />
    <Sheet softBorders slowRoll flatBoxes={1} />
  </Board>
);
