package p

func a(w W) {
	if w.bad {
		w.Send(404)
		return
	}
	w.Go()
}

func mid(w W) { w.Go() }

func b(w W) {
	if w.shut {
		w.Send(403)
		return
	}
	w.Go()
}
