package example;

import java.util.ArrayList;
import java.util.List;

/** Keeps amounts by day. */
public class Ledger implements Comparable<Ledger> {
    private final List<Integer> amounts = new ArrayList<Integer>();
    private String name = "";

    public Ledger(String name) {
        this.name = name;
    }

    @Override
    public int compareTo(Ledger other) {
        return Integer.compare(total(), other.total());
    }

    public int total() {
        int sum = 0;
        for (int i = 0; i < amounts.size(); i++) {
            sum += amounts.get(i);
        }
        return sum;
    }

    public void add(int amount, boolean log) throws IllegalStateException {
        if (amount == 0) {
            throw new IllegalStateException("zero");
        } else if (log) {
            System.out.println("add " + amount + " to " + name);
        }
        try {
            amounts.add(Integer.valueOf(amount));
        } finally {
            System.out.println(name.isEmpty() ? "?" : name);
        }
    }
}
