import java.util.List;
import java.util.Locale;
import java.util.Map;

class A {
}
