if !ready
  wait(3)
end
