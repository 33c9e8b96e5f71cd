unless ready
  wait(3)
end
