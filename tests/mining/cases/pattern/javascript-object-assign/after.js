const o = { ...base }
